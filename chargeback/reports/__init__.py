"""The weekly and the monthly report: read from what the pages read, written as a mail, and sent to who subscribed."""

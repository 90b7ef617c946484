"""A statement as files. The same month gives the same bytes, in every format, until another of its rows is booked."""

"""Days of the ledger, sent as files to folders and buckets on schedule.

`targets`: where to; `days`: a day's files; `runs`: which day is sent when; `folders` and `buckets`: how a file is put.
"""

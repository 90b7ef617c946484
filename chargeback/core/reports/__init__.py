"""The report that goes out by mail: of which days, what it holds, and in what words. Pure."""

"""The command line, one file a group of commands; each is a few lines over the API."""

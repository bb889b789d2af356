"""The report of a study as files: a page to mail, a page for a repository, numbers for programs, figures."""

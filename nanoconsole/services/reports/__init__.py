"""A report of one run or several: gathered once as plain data, then written as Markdown or HTML."""

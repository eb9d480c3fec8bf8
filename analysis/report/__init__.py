"""One HTML page with all that the runs say; `page.gather` works it out and `page.render` makes the page."""

"""One HTML page about all runs; `page.gather` computes its contents and `page.render` makes the page."""

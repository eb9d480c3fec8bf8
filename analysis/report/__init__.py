"""The report: one HTML page that holds everything the runs in a folder say, and needs nothing else to be read.

What gathers (`strata`, `overview`, `tables`, `verdicts`, `curves`, `games`, `trajectories`, `inventory`, `pictures`)
knows nothing of HTML; `page` puts what was gathered into the templates.
"""

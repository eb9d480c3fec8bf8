"""The paper's three particle worlds: simple spread, formation control and line control."""

"""From what runs left behind to figures and tables: reads W&B logs only, and never imports torch."""

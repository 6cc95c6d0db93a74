"""What no caller asks for: retention, the sweep of orphans, reports."""

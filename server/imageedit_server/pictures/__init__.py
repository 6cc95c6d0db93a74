"""Pictures in worker processes: read as a viewer shows them, and encoded for whoever gets them."""

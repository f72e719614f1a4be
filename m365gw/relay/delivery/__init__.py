"""One message on its way out: attempted, judged, and put where it belongs."""

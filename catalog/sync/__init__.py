"""From a plan to proven bytes on disk."""

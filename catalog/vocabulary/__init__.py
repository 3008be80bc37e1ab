"""The words of a search: keywords, columns of observations, criteria, places and dates."""

"""Where bars come from: one file for each file layout, one package for each provider."""

"""A network's integers chosen so that DS-CIM comes close to the exact product; no labels needed."""

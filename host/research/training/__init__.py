"""Training, quantisation and fine-tuning through DS-CIM (needs the extra `train`).

README.md beside this file has the commands that made the networks that ship. A network file
holds the recipes of its fine-tuning and of its float network, and of all that they began with.
"""

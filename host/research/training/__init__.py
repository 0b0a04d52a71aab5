"""Training, quantisation and fine-tuning through DS-CIM (needs the extra `train`).

README.md in this folder has the commands that made the shipped networks. A network file holds the
recipes of its fine-tuning, of its float network, and of every network in between.
"""

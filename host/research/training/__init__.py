"""Training, quantisation and fine-tuning through DS-CIM (needs the extra `train`).

README.md in this folder has the commands that produced the shipped networks. A network file
contains the recipes of its fine-tuning, of its float network, and of every network in between.
"""

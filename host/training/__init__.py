"""Training, quantisation and fine-tuning through DS-CIM (needs the extra `train`).

The shipped networks were made by these commands, each after `python -m dscim.host.training`:

    float
    float --name refined --start float --epochs 6 --rate 0.03 --reach 1 --smoothing 0
    export --name fashion-resnet8-int8 --variant exact --teacher refined

then for each variant and stream length a `finetune --teacher refined --name NAME ...` and an
`export --teacher refined --checkpoint NAME ...`, and at last `evaluate`. A network file holds the
recipe of its fine-tuning (epochs, rate, seed, images) and of its float network.
"""

"""Every verb of `dscim`, its summary and its module, which is imported only when it is called."""

import dataclasses
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb, or a group of verbs.

    summary: one line, what it does. module: its name in dscim.host.cli. command: the name of the
    `Command` in that module. verbs: those of a group, by name.
    """

    summary: str
    module: str = ""
    command: str = "COMMAND"
    verbs: Mapping[str, "Verb"] = dataclasses.field(default_factory=dict)


PRUNE = {
    "cost": Verb(
        "print the multiply-accumulates, parameters and cycles of a structure", "prune_cost", "COST"
    ),
    "table": Verb(
        "compute the cycles of every operation at every width with the cycle model",
        "prune_cost",
        "TABLE",
    ),
    "train": Verb("train the network that generates the weights of structures", "prune_train"),
    "search": Verb("search for the best structure within hard budgets", "prune_search"),
    "select": Verb("train a few of the structures that a search found, rank them", "prune_select"),
    "retrain": Verb(
        "train a structure from scratch and export it as an integer network", "prune_retrain"
    ),
    "report": Verb("compare searched structures with their baselines", "prune_report"),
}

TRAIN = {
    "float": Verb("train the float network of an experiment", "dev_train", "FLOAT"),
    "export": Verb(
        "write the INT8 network file of a float network, and the images", "dev_train", "EXPORT"
    ),
    "quantise": Verb(
        "write the INT8 network file of published weights, without training",
        "dev_train",
        "QUANTISE",
    ),
    "evaluate": Verb(
        "evaluate the networks of an experiment on the test images", "dev_train", "EVALUATE"
    ),
    "all": Verb("run every command of an experiment's plan", "dev_train", "ALL"),
}

DEV = {
    "accuracy": Verb("print the accuracy of a network in every arithmetic", "dev_accuracy"),
    "pages": Verb("check or update the tables that pages show of stored results", "dev_pages"),
    "emulator": Verb(
        "compare the emulator's speed with float32 products and bit streams", "dev_emulator"
    ),
    "sizes": Verb("synthesise the designs that the size model is fitted to", "dev_cells", "SIZES"),
    "placed": Verb("place and route the macros of `dscim macros`", "dev_cells", "PLACED"),
    "area": Verb("count the cells of macros with Yosys", "dev_cells", "AREA"),
    "link-area": Verb("count the cells of the link with Yosys", "dev_cells", "LINK_AREA"),
    "breakdown": Verb("count the cells of a device by module with Yosys", "dev_breakdown"),
    "keyword": Verb("write a network for keywords with random weights", "dev_keyword"),
    "tables": Verb("compute the threshold tables that ship", "dev_tables"),
    "train": Verb("train, quantise, export and evaluate the shipped networks", verbs=TRAIN),
}

VERBS = {
    "demo": Verb(
        "run images through the shipped network on the simulated SoC and check every layer",
        "demo",
    ),
    "doctor": Verb("report missing tools and how to install them", "doctor"),
    "import": Verb("make a network file from a TensorFlow Lite INT8 or ONNX QDQ file", "import_"),
    "sim": Verb("serve the simulated SoC on a loopback port", "sim"),
    "bench": Verb("measure the speed of the link to a target and check every word", "bench"),
    "mvm": Verb("compute one matrix product of .npy files on a target", "mvm"),
    "calibrate": Verb(
        "adapt a network to DS-CIM, from a few inputs without labels or training", "calibrate"
    ),
    "run": Verb("execute a network on a target and compare each layer with the reference", "run"),
    "dataset": Verb("convert a data set's images to a network's own input integers", "dataset"),
    "finetune": Verb("train a network file through the DS-CIM product", "finetune"),
    "boards": Verb("list the boards that the SoC can be built for", "boards"),
    "build": Verb("build a bitstream that meets timing, for a board", "build"),
    "fit": Verb("estimate whether a network fits a board, and its speed, without building", "fit"),
    "macros": Verb("compare DS-CIM and exact macros on an ECP5 FPGA", "macros"),
    "load": Verb("load a built bitstream into a board", "load"),
    "dut": Verb("serve MLPerf Tiny's serial protocol, so that its runner measures a target", "dut"),
    "selftest": Verb("test a device, memory by memory and product by product", "selftest"),
    "scope": Verb(
        "capture the engine's and the macro's signals from a device with LiteScope", "scope"
    ),
    "prune": Verb(
        "find the best pruned network for a budget of operations, parameters or cycles",
        verbs=PRUNE,
    ),
    "study": Verb("compute a table or figure to compare with the DS-CIM paper", "study"),
    "dev": Verb("programs for developers", verbs=DEV),
}


def commands(
    verbs: Mapping[str, Verb] = VERBS, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Every command with its words, such as ("prune", "cost"); groups are left out."""
    for name, verb in verbs.items():
        if verb.verbs:
            yield from commands(verb.verbs, (*path, name))
        else:
            yield (*path, name), verb

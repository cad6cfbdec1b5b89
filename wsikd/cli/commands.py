"""Which commands there are, without importing any."""

COMMANDS = {
    "prepare": "Find the tissue of slides and store it at every magnification.",
    "check": "Examine prepared regions for damage, and say what is wrong and how to mend it.",
    "split": "Deal the patients into training, validation and test, or into folds.",
    "plan teach": "Say what wsikd teach would compute, and the memory and time it would take.",
    "plan distil": ("Say what wsikd distil would compute, and the memory and time it would take."),
    "plan finetune": (
        "Say what wsikd finetune would compute, and the memory and time it would take."
    ),
    "teach": "Train a teacher, or a baseline at a lower magnification, from labels.",
    "distil": "Train a student that reads at a low magnification, from a teacher, without labels.",
    "finetune": "Train the last layer of a student from labels.",
    "pair": "Train an encoder without labels, from pairs of images of the same tissue.",
    "probe": "Score what a classifier reads from frozen encoders, beside colour alone.",
    "segment train": "Train a nuclei segmenter without labels.",
    "segment apply": "Find the nuclei of images, slides or regions, as labels and for QuPath.",
    "segment evaluate": "Score segmenters on the test images of a labelled set, beside controls.",
    "evaluate": "Score all runs on the test patients, with confidence intervals and controls.",
    "report": "Write one HTML page on the slides and the runs.",
    "explain": "Show what the network of a run looks at, layer by layer, or two side by side.",
    "cka": "Compare what the layers of runs represent, within and between ways of training.",
    "run": "Carry out a recipe: commands in order, skipping what is done.",
    "demo": "Show the whole job on drawn slides, in a few minutes.",
    "bench": "Measure how near to its limits this machine computes networks.",
    "doctor": "Examine whether this machine has what wsikd needs, and say what to do.",
    "info": "Tell what a slide is, what tissue it holds and what prepare would write of it.",
    "draw": "Draw slides with known tissue and classes, to try wsikd without data.",
}
"""Name to first line of its help; each is a function of that name in `wsikd.cli.<name>`, those of a
group functions of their last word in the module of the first."""

GROUPS = {
    "plan": "Say what a training would compute, and the memory and time it would take: teach, "
    "distil, finetune.",
    "segment": "Find nuclei without labels: train, apply, evaluate.",
}
"""First word of several commands to the first line of its help."""

OF_GROUPS = frozenset(name for name in COMMANDS if " " in name)
"""Those that belong to a group."""

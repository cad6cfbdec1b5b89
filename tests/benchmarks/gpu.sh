#!/bin/sh
# Check and measure wsikd on a GPU in under 6 minutes:
#
#     sh tests/benchmarks/gpu.sh RESULTS [WORKSPACE]
#
# RESULTS gets JSON and logs, of which docs/benchmarks.md is made. WORKSPACE holds prepared regions
# and slides.csv, split, with 10x and 1.25x; without it the trainers are left out. What is checked:
# kernels, tests marked gpu, every trainer for a few steps, and all rows. Later parts run even if
# an earlier one failed; the status tells.
results=${1:?say where results go}
workspace=$2
status=0
mkdir -p "$results"

end=$(($(date +%s) + 350))

part() {
    name=$1
    shift
    left=$((end - $(date +%s)))
    echo "== $name, $left s left"
    [ $left -gt 5 ] || { echo "no time for $name"; status=1; return; }
    timeout $left "$@" >"$results/$name.out" 2>"$results/$name.err" || {
        echo "failed: $name"
        status=1
        tail -n 20 "$results/$name.err"
    }
    tail -n 12 "$results/$name.out"
}

part kernels python -m pytest -q tests/unit/models/test_norm_kernel.py tests/unit/models/test_precision.py
part marked python -m pytest -q -m gpu tests
part rows python -m tests.benchmarks.measure_kernels --seconds 1 --json "$results/kernels.json"
for way in "eager fp32" "fused fp32" "fused bf16"; do
    set -- $way
    part "bench-$1-$2" python -m wsikd bench --seconds 1 --kernels "$1" --precision "$2" --json
done
if [ -n "$workspace" ]; then
    common="--device cuda --kernels fused --workspace $workspace"
    part teach python -m wsikd teach --epochs 3 --name gpu-teacher $common
    part distil python -m wsikd distil --epochs 3 --teacher gpu-teacher --student-mag 1.25 $common
    part finetune python -m wsikd finetune --epochs 3 --student-mag 1.25 $common
fi
exit $status

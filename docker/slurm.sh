#!/bin/sh
# Carry out a recipe on a cluster with Apptainer; once:  apptainer build wsikd.sif docker-daemon:wsikd:gpu
# Then, in the folder of the cohort:  sbatch slurm.sh pipelines/celiac.yaml
#SBATCH --job-name=wsikd
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -eu

apptainer run --nv --bind "$PWD:/data" --pwd /data "${WSIKD_IMAGE:-wsikd.sif}" run "$1" &
job=$!

# TERM comes two minutes before the time is up: checkpoint, queue again, go on from there
stopped=
trap 'stopped=yes; kill -TERM "$job"' TERM
status=0
wait "$job" || status=$?
if [ "$stopped" ]; then
    status=0
    wait "$job" || status=$?
    [ "$status" -eq 0 ] || scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"

#!/bin/sh
# A survey as a Slurm array: every task runs every eighth sequence, with a process for every two processors. Sequences that
# are done are in parts/, sixteen to a file: a task that was ended goes on from there when it is submitted again. Put the
# parts together afterwards:
#   sinkscope merge parts/*.json --save survey.json
#SBATCH --job-name=sinkscope-survey
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=01:00:00
set -eu

: "${MODEL:?path of the .onnx file}" "${CORPUS:?a text file, or a folder with .txt and .md files}"
sinkscope survey "$MODEL" --file "$CORPUS" --sequences 1000 --length 512 \
  --shard "$SLURM_ARRAY_TASK_ID/8" --workers "$((SLURM_CPUS_PER_TASK / 2))" --threads 2 --parts parts

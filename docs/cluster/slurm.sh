#!/bin/sh
# A survey as a Slurm array: every task runs every eighth sequence. Put the parts together afterwards:
#   sinkscope merge parts/*.json --save survey.json
#SBATCH --job-name=sinkscope-survey
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=01:00:00
set -eu

: "${MODEL:?path of the .onnx file}" "${CORPUS:?a text file, or a folder with .txt and .md files}"
mkdir -p parts
sinkscope survey "$MODEL" --file "$CORPUS" --sequences 1000 --length 512 \
  --shard "$SLURM_ARRAY_TASK_ID/8" --save "parts/$SLURM_ARRAY_TASK_ID.json"

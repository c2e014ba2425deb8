#!/usr/bin/env bash
# Every figure that README and docs/experiments.md give of SmolLM2-135M, made anew:
#   tools/real/figures.sh FOLDER    where export.py FOLDER has put its files; after `npm run build`
# leaves FOLDER/figures/NAME.txt, as the terminal shows it. About an hour on two cores.
set -euo pipefail
models=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
out="$models/figures"
mkdir -p "$out"

of() {
  local name=$1 experiment=$2
  shift 2
  echo "$name"
  node dist/cli.js "$experiment" "$models/smollm2/model.onnx" "$@" > "$out/$name.txt"
}

boat=test/text/three-men-in-a-boat.md
pit=test/text/pit-and-pendulum.md

of analyze analyze --file media/sample.md
of perplexity perplexity --file "$boat" --tokens 2048
of interventions interventions --file "$boat" --calibrate "$pit" --tokens 2048
of bias bias --file media/sample.md
of weights weights --file "$boat" --calibrate "$pit" --tokens 2048
of streaming streaming --file "$boat" --tokens 2048
of survey survey --file "$boat" --sequences 20
of outliers outliers --file "$boat"
of precision precision --file "$boat"
of lens lens --text "The capital of France is"
of gradients gradients --file media/sample.md
of massive gradients --text "The capital of France is" --of h:13,0,507
of activation activation --file "$boat" --against "$pit" --sequences 16 --length 128
of patch patch --clean "The capital of France is" --corrupt "The capital of Italy is" --answers " Paris" " Rome"
of int8 compare-quantised "$models/smollm2-int8/model.onnx" --file "$boat" --tokens 1024
of int4 compare-quantised "$models/smollm2-int4/model.onnx" --file "$boat" --tokens 1024
of fp16 compare-quantised "$models/smollm2-fp16/model.onnx" --file "$boat" --tokens 1024

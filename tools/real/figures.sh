#!/usr/bin/env bash
# Every figure that README and docs/experiments.md give of SmolLM2-135M, made anew:
#   tools/real/figures.sh FOLDER [NAME...]    where export.py FOLDER has put its files; after `npm run build`
# leaves FOLDER/figures/NAME.txt, as the terminal shows it, of all or of those that are named. About an hour and a half on
# two cores.
set -euo pipefail
models=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
out="$models/figures"
mkdir -p "$out"
asked=" $* "

of() {
  local name=$1 experiment=$2
  shift 2
  if [ "$asked" != "  " ] && [[ $asked != *" $name "* ]]; then return; fi
  echo "$name"
  # What it says of itself on the way (the line ends that it reads as LF) is no figure.
  node dist/cli.js "$experiment" "$models/smollm2/model.onnx" "$@" > "$out/$name.txt"
}

boat=test/text/three-men-in-a-boat.md
pit=test/text/pit-and-pendulum.md
wiki=test/text/wikitext-2-test-head.txt
# Who is given the drink: the prompts differ in who gives it.
clean="When Mary and John went to the store, John gave a drink to"
corrupt="When Mary and John went to the store, Mary gave a drink to"
patch=(patch --clean "$clean" --corrupt "$corrupt" --answers " Mary" " John")
steer=(--positive test/text/steer/positive.txt --negative test/text/steer/negative.txt --layer 15)

of analyze analyze --file media/sample.md
of perplexity perplexity --file "$boat" --tokens 2048
of generate generate --text "The capital of France is" --tokens 24
of interventions interventions --file "$boat" --calibrate "$pit" --tokens 2048
of intervene intervene --file media/sample.md --to zero
of patch "${patch[@]}"
of patch-heads "${patch[@]}" --at head
of ablate ablate --text "$clean"
of steer steer "${steer[@]}" --strength 1.5 --text "It was a bright cold day in April"
of survey survey --file "$boat" --sequences 20
of bias bias --file media/sample.md
of domains domains --file "$boat" --against "$wiki"
of weights weights --file "$boat" --calibrate "$pit" --tokens 2048
of cancelling cancelling --file media/sample.md
of outliers outliers --file "$boat"
of precision precision --file "$boat"
of prefix prefix --file "$boat" --tokens 2048
of int8 compare-quantised "$models/smollm2-int8/model.onnx" --file "$boat" --tokens 1024
of int4 compare-quantised "$models/smollm2-int4/model.onnx" --file "$boat" --tokens 1024
of fp16 compare-quantised "$models/smollm2-fp16/model.onnx" --file "$boat" --tokens 1024
of doctor-int8 doctor --file "$boat" --tokens 510
of doctor-int4 doctor --file "$boat" --tokens 510 --scheme int4-block32
of lens lens --text "The capital of France is"
of gradients gradients --file media/sample.md
of massive gradients --file media/sample.md --of h:12,0,507
of activation activation --file "$boat" --against "$pit" --sequences 16 --length 128
of streaming streaming --file "$boat" --tokens 2048

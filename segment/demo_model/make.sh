#!/usr/bin/env bash
# Make the bundled model again, in a new folder: scenes, crops, training in three stages.
# About 100 minutes on 4 cores that compute in bfloat16; in another arithmetic, or on another machine, the last digits differ.
set -euo pipefail
folder=${1:?usage: make.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
options=(--loss ce --tile auto --input 512 --batch-size 4 --precision bf16 --half)

noseam scenes scenes --photos 240 --photo-size 2048 3072 --seed 1
noseam crop scenes/images scenes/truth --out crops --classes scenes/classes.csv --window 1024 --split 0.9 --format jpeg

# From random weights: the first seven epochs of a schedule of 5000 steps, by when it knows all large classes.
noseam train crops --out stage1 --base mini --lr 6e-4 --schedule cosine --warmup 0.05 --max-steps 5000 --seed 1 \
    "${options[@]}" &
until [ -e stage1/state/checkpoint-2268/trainer_state.json ]; do
    kill -0 $! # ends this script if the training has ended before
    sleep 1
done
kill $!

# Rare classes weigh more, until it has noticed all of them.
noseam train crops --out stage2 --base stage1/state/checkpoint-2268 --lr 6e-4 --schedule constant --class-weights median \
    --max-steps 400 --seed 2 "${options[@]}"

# Every pixel weighs alike, for exact outlines.
noseam train crops --out demo_model --base stage2 --lr 6e-4 --schedule cosine --warmup 0.03 --max-steps 2600 --seed 3 \
    "${options[@]}"

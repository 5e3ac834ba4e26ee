#!/usr/bin/env bash
# Make the model to start from again, in a new folder: scenes of the varied world, crops, training in three stages.
# About 90 minutes on 2 cores that compute in bfloat16. The scenes `first` are of today's world; those that the bundled
# weights saw in their first two stages held fewer houses and ponds. So the model comes out alike, not the same.
set -euo pipefail
folder=${1:?usage: make.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
varied=(--world varied --gsd 0.004 --gsd-to 0.03 --photo-size 1024 1536)
options=(--input 256 --batch-size 8 --zoom 0.6 1.7 --colour 0.15 --schedule cosine --head-lr-factor 1 --precision bf16 --half)

noseam scenes first "${varied[@]}" --photos 640 --seed 4
noseam scenes second "${varied[@]}" --photos 480 --seed 5
noseam scenes alike --photos 96 --photo-size 1536 2048 --seed 4
for name in first second alike; do
    noseam crop "$name/images" "$name/truth" --out "crops-$name" --classes first/classes.csv --window 512 --split 0.97 --format jpeg
done

train_until() { # train_until STEP FOLDER ...: train, and stop when the state of a step is written
    local state=$2/state/checkpoint-$1
    shift
    noseam train "${@:2}" --out "$1" "${options[@]}" &
    until [ -e "$state/trainer_state.json" ]; do
        kill -0 $! # ends this script if the training has ended before
        sleep 1
    done
    kill $!
    wait $! || true
}

# From the model of the demo, at a rate at which it forgets that it knew one kind of place alone.
train_until 3000 stage1 crops-first crops-alike --base bundled:demo --lr 1e-3 --warmup 0.03 --max-steps 7000 \
    --validate-every 500 --seed 4

# Rare classes weigh more, because it had noticed few of them.
train_until 2000 stage2 crops-first crops-alike --base stage1/state/checkpoint-3000 --class-weights sqrt --lr 8e-4 \
    --warmup 0.02 --max-steps 6000 --validate-every 1000 --seed 5

# More scenes, of houses and water from near by, until the rate is 0.
noseam train crops-second crops-first crops-alike --out start_model --base stage2/state/checkpoint-2000 \
    --class-weights sqrt --lr 8e-4 --warmup 0.02 --max-steps 5000 --validate-every 1000 --seed 6 "${options[@]}"

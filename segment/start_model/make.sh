#!/usr/bin/env bash
# Make the model to start from again, in a new folder: scenes of the varied world, crops, training in four stages.
# About 100 minutes on 2 cores that compute in bfloat16. The scenes `first` are of today's world; those that the bundled
# weights saw in their first two stages held fewer houses and ponds, and all that they saw held greener lawns, smoother
# water and duller roofs. So the model comes out alike, not the same.
set -euo pipefail
folder=${1:?usage: make.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
varied=(--world varied --gsd 0.004 --gsd-to 0.03 --photo-size 1024 1536)
options=(--loss ce --dropout 0.1 --coarse-first 0 --colour 0.15 --schedule cosine --head-lr-factor 1 --tile auto --precision bf16 --half)
near=(--input 256 --batch-size 8 --zoom 0.6 1.7)

noseam scenes first "${varied[@]}" --photos 640 --seed 4
noseam scenes second "${varied[@]}" --photos 480 --seed 5
noseam scenes alike --photos 96 --photo-size 1536 2048 --seed 4
for name in first second alike; do
    for cut in "crops 512" "wide 1024"; do
        noseam crop "$name/images" "$name/truth" --out "${cut% *}-$name" --classes first/classes.csv --window "${cut#* }" \
            --split 0.97 --format jpeg
    done
done

train_until() { # train_until STEP FOLDER ...: train, and stop when the state of a step is written
    local state=$2/state/checkpoint-$1
    shift
    noseam train "${@:2}" --out "$1" "${options[@]}" "${near[@]}" &
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
noseam train crops-second crops-first crops-alike --out stage3 --base stage2/state/checkpoint-2000 --class-weights sqrt \
    --lr 8e-4 --warmup 0.02 --max-steps 5000 --validate-every 1000 --seed 6 "${options[@]}" "${near[@]}"

# Windows that hold more of what lies around. The validation crops liked the state after 500 steps best.
noseam train wide-second wide-first wide-alike --out start_model --base stage3 --class-weights sqrt --lr 5e-4 \
    --warmup 0.02 --max-steps 2500 --validate-every 500 --seed 7 --input 512 --batch-size 2 --zoom 0.8 2 "${options[@]}"

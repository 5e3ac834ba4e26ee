#!/usr/bin/env bash
# Fetch what vendored/VERSIONS names from npm, and check it: `segment/report/pages/vendor.sh`, at development time only.
#
# For a new version: change it in VERSIONS, run this, look at what changed, and put the new sums where this says so.
# The package of the slider holds no licence; img-comparison-slider.LICENSE.txt is that of its repository.
set -euo pipefail
cd "$(dirname "$0")/vendored"

packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
while read -r sum file package path _; do
    case $sum in "#"*) continue ;; esac
    if [ ! -d "$packed/$package" ]; then
        mkdir "$packed/$package"
        tar -xzf "$packed/$(npm pack --silent --pack-destination "$packed" "$package")" -C "$packed/$package"
    fi
    cp "$packed/$package/package/$path" "$file"
    echo "$sum  $file" | sha256sum --check
done <VERSIONS

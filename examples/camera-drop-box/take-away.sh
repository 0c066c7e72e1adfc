#!/bin/sh
# Moves every finished file of the cameras to the recorder, with its folders. What is still being sent has a name that
# begins with a dot, and is left alone.
set -eu
cd /srv/cameras
find . -type f ! -name '.*' | while IFS= read -r file; do
    mkdir -p "/srv/recorder/${file%/*}"
    mv -n "$file" "/srv/recorder/$file"
done

# shellcheck shell=bash
# Part of kubernetes.sh: images, from a container engine to the nodes.

# The image that holds a pod together, in the format of `docker save`.
make_pause_image() {
    local work=$state/pause.d layer
    rm -rf "$work"
    mkdir -p "$work/root"
    cp "$bin/pause" "$work/root/pause"
    tar -C "$work/root" --owner=0 --group=0 --mtime=@0 -cf "$work/layer.tar" pause
    layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
    cat >"$work/config.json" <<JSON
{"architecture":"$(go_architecture)","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
    echo '[{"Config":"config.json","RepoTags":["localhost/pause:testbed"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
    tar -C "$work" -cf "$state/pause.tar" manifest.json config.json layer.tar
    rm -rf "$work"
}

go_architecture() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

engine_api() {
    local host=${DOCKER_HOST:-}
    [ -n "$host" ] || host=$("$bed/engine.sh" env | cut -d= -f2-)
    case $host in
        unix://*) curl -fsS --unix-socket "${host#unix://}" "http://localhost$1" ;;
        *) curl -fsS "http://${host#*://}$1" ;;
    esac
}

# Does every node have an image of this name?
nodes_have() {
    local node
    for node in $nodes; do
        runtime "$node" images ls -q | grep -qxF -e "$1" -e "docker.io/$1" -e "docker.io/library/$1" || return 1
    done
}

# An image that a node has already, as the engine has it now, is not copied again.
load_images() {
    local image node identity mark file=$state/image.tar
    for image in "$@"; do
        identity=$(engine_api "/images/$image/json" | grep -o '"Id":"sha256:[0-9a-f]*"' | head -n1) ||
            fail "the container engine has no image \`$image\`" 'build or import it first'
        mark=$state/loaded-$(printf %s "$image" | tr -c 'A-Za-z0-9._\n-' _)
        [ "$(cat "$mark" 2>/dev/null)" != "$identity" ] || ! nodes_have "$image" || continue
        say "copying \`$image\` to $nodes"
        engine_api "/images/$image/get" >"$file"
        for node in $nodes; do
            runtime "$node" images import "$file" >>"$state/log/images.log" 2>&1 9>&- ||
                { tail -n 5 "$state/log/images.log" >&2; fail "\`$image\` could not be imported on $node"; }
        done
        rm -f "$file"
        printf %s "$identity" >"$mark"
    done
}

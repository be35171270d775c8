"""`reslab completion bash` or `zsh`: prints the script that lets the shell ask us what may come next."""

from reslab.commands.main import VERBS
from reslab.launch.completing import candidates

# Hydra's own completion asks the program without its verb. Bash breaks words at "=", so what stands before it goes.
BASH = """_reslab() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($("$1" completion words "$line" 2>/dev/null))
    if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}")
    fi
    [[ "${COMPREPLY[*]}" == *[=.]* ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _reslab reslab
"""
ZSH = """#compdef reslab
_reslab() {
    local -a found
    found=(${(f)"$($words[1] completion words "${(j: :)words[1,CURRENT]}" 2>/dev/null)"})
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
}
compdef _reslab reslab
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH}


def main(arguments: list[str]) -> int:
    """Print the script of a shell, or (`words LINE`) what may stand at the end of a line."""
    if arguments[:1] == ["words"]:
        words = " ".join(arguments[1:]).split(" ")
        print("\n".join(candidates(VERBS, [word for word in words[1:-1] if word] + words[-1:])))
        return 0
    if len(arguments) != 1 or arguments[0] not in SCRIPTS:
        raise ValueError(
            f'completion {" ".join(arguments)}: it is for bash or zsh; in bash: eval "$(reslab completion bash)"'
        )
    print(SCRIPTS[arguments[0]], end="")
    return 0

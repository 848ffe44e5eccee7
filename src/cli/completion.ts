// neleus completion: shell completion of commands and options, made from the command tree itself.
import type { Command } from "commander";
import { InvalidArgument } from "../core/errors.js";
import { leaf } from "./command.js";

const SHELLS = ["bash", "zsh", "fish"] as const;

export function registerCompletion(program: Command): void {
  leaf(program, "completion <shell>", "print completion for bash, zsh or fish", async (session, args) => {
    const [shell = ""] = args;
    await session.output.write(completionScript(program, shell));
  });
}

interface CommandWords {
  /** `state get`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly string[];
  readonly options: readonly string[];
}

function words(command: Command, path: readonly string[] = []): CommandWords[] {
  const visible = command.commands.filter((child) => child.name() !== "help");
  const own: CommandWords = {
    path: path.join(" "),
    commands: visible.map((child) => child.name()),
    options: command.options.flatMap((option) => (option.long === undefined ? [] : [option.long])),
  };
  return [own, ...visible.flatMap((child) => words(child, [...path, child.name()]))];
}

/** @throws InvalidArgument - a shell that is not supported */
export function completionScript(program: Command, shell: string): string {
  const all = words(program);
  switch (shell) {
    case "bash":
      return bashScript(all);
    case "zsh":
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(all)}`;
    case "fish":
      return fishScript(all);
    default:
      throw new InvalidArgument(`"${shell}" is not one of ${SHELLS.join(", ")}`, { field: "shell" });
  }
}

function bashScript(all: readonly CommandWords[]): string {
  const cases = all.map(
    ({ path, commands, options }) => `    "${path}") words="${[...commands, ...options].join(" ")}" ;;`,
  );
  return `_neleus() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) case " ${all.map(({ path }) => path.replaceAll(" ", "_")).join(" ")} " in
      *" \${path:+\${path// /_}_}$word "*) path="\${path:+$path }$word" ;;
    esac ;; esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _neleus neleus neleus-db
`;
}

function fishScript(all: readonly CommandWords[]): string {
  const lines: string[] = [];
  for (const { path, commands, options } of all) {
    const [first, second] = path.split(" ");
    const condition =
      path === ""
        ? "__fish_use_subcommand"
        : second === undefined
          ? `__fish_seen_subcommand_from ${first ?? ""}`
          : `__fish_seen_subcommand_from ${first ?? ""}; and __fish_seen_subcommand_from ${second}`;
    if (commands.length > 0) lines.push(`complete -c neleus -n "${condition}" -a "${commands.join(" ")}"`);
    for (const option of options) lines.push(`complete -c neleus -n "${condition}" -l ${option.slice(2)}`);
  }
  return `${lines.join("\n")}\n`;
}

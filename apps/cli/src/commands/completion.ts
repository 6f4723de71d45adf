import { MeshError } from "@meshwork/contract"
import { command, type CommandDefinition, loaded } from "../command.ts"
import { completionScript, type Shell, shells } from "../completion.ts"
import { commands, groups } from "./index.ts"

/** `meshwork completion`. */
export const completionCommand: CommandDefinition = command<object>({
  args: { shell: `one of ${shells.join(", ")}` },
  options: [],
  examples: [
    "completion bash > /etc/bash_completion.d/meshwork",
    "completion zsh > ~/.zfunc/_meshwork",
    "completion fish > ~/.config/fish/completions/meshwork.fish",
  ],
  async run(context, _options, [shell = ""]) {
    if (!shells.includes(shell as Shell))
      throw new MeshError("invalid_config", `there is a script for ${shells.join(", ")}, not for ${JSON.stringify(shell)}`)
    context.stdout.write(completionScript(shell as Shell, await Promise.all(commands.map(loaded)), groups))
    return undefined
  },
})

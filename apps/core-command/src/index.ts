export { createCoreCommand, type CoreCommand, type CoreCommandPorts } from './core-command.ts';
export { coreCommandOptions, type CoreCommandOptions } from './options.ts';

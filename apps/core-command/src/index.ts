export { createCoreCommand, type CoreCommand, type CoreCommandPorts } from './core-command.ts';
export { coreCommandEnvironment, coreCommandOptions, type CoreCommandOptions } from './options.ts';

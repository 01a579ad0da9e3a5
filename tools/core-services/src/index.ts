export { createCoreServices, CORE_SERVICES, type CoreService, type CoreServices } from './core-services.ts';
export { startProgram, type Program, type ProgramOptions } from './program.ts';

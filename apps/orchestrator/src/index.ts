export { orchestratorOptions, type OrchestratorOptions, type OrchestratorPorts } from './options.ts';
export { createOrchestrator, type Orchestrator } from './orchestrator.ts';

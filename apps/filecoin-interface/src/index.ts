export { filecoinInterfaceOptions, type FilecoinInterfaceOptions } from './options.ts';
export { createFilecoinInterface, type FilecoinInterfacePorts } from './filecoin-interface.ts';

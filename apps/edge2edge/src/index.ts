export { edge2edgeOptions, type Edge2EdgeOptions, type Edge2EdgePorts } from './options.ts';
export { createEdge2Edge, type Edge2Edge } from './edge2edge.ts';
export { OPEN_ROUTES, findOpenRoute, type OpenRoute } from './open-routes.ts';

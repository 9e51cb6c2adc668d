/** The routes of the API by id, each with its method, path and scope: for tools that show or explain requests. */
export { type RouteId, routeOf } from '@popsigner/api/routes'

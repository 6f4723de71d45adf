import { type Pool, type RetryBudget, retryBudget } from "@meshwork/client-sdk/pool"
import type { Route, RouteSettings } from "./route-settings.ts"
import { compileRoutes, type Router } from "./router.ts"

/** Everything that changes together when routes do; replaced as a whole. */
export interface RoutingTable {
  readonly router: Router
  readonly pools: ReadonlyMap<Route, Pool>
  /** What repeats are paid from, one for each service. */
  readonly budgets: ReadonlyMap<Route, RetryBudget>
  /** Whether GET and HEAD may have a body; undefined where no route lets them. */
  readonly allowBody: ((method: string, host: string, path: string) => boolean) | undefined
}

/** Makes the table of some routes. Budgets of services that were there before go on. */
export function routingTable(settings: readonly RouteSettings[], poolFor: (route: Route) => Pool, before?: RoutingTable): RoutingTable {
  const router = compileRoutes(settings)
  return {
    router,
    pools: new Map(router.routes.map((route) => [route, poolFor(route)])),
    budgets: budgetsOf(router.routes, before?.budgets ?? new Map<Route, RetryBudget>()),
    allowBody: router.routes.some((route) => route.allowGetBody)
      ? (method, host, path) => router.find(host, method, path)?.allowGetBody === true
      : undefined,
  }
}

/** One bucket for each service: it holds what a burst of lost requests needs, filled by traffic, and little at the start. */
function budgetsOf(routes: readonly Route[], before: ReadonlyMap<Route, RetryBudget>): Map<Route, RetryBudget> {
  const services = new Map([...before].map(([route, budget]) => [route.service, budget]))
  return new Map(
    routes.map((route) => {
      const budget = services.get(route.service) ?? retryBudget({ capacity: 100, initial: 10 })
      services.set(route.service, budget)
      return [route, budget]
    }),
  )
}

export { ManualClock, seededRandom } from "@meshwork/contract/testing"

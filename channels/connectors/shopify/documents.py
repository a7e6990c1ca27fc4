"""Every GraphQL text we send, against Admin 2026-10; tests hold them against the vendor's schema and its cost limit."""

SHOP_LOCATIONS = """
query StudioLocations($after: String) {
  locations(first: 50, after: $after, includeInactive: true, includeLegacy: true) {
    nodes { id name isActive }
    pageInfo { hasNextPage endCursor }
  }
}
"""

CATALOG_PAGE = """
query StudioCatalog($after: String, $query: String) {
  productVariants(first: 100, after: $after, query: $query, sortKey: ID) {
    nodes {
      id title sku barcode price updatedAt inventoryPolicy
      selectedOptions { name value }
      inventoryItem { id tracked }
      product { id title vendor productType }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

_LISTING = """
fragment StudioListing on ProductVariant {
  id title barcode inventoryPolicy
  selectedOptions { name value }
  inventoryItem { id sku tracked }
}
"""

LISTINGS = (
    """
query StudioListings($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on ProductVariant {
      ...StudioListing
      product { id variantsCount { count } options { id name } }
    }
  }
}
"""
    + _LISTING
)

# https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/productVariantsBulkUpdate
# The SKU goes into inventoryItem. All or none: what is refused is asked for again by itself.
UPDATE_VARIANTS = (
    """
mutation StudioUpdateVariants($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: false) {
    productVariants { ...StudioListing }
    userErrors { code field message }
  }
}
"""
    + _LISTING
)

# https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/productOptionUpdate
RENAME_OPTION = """
mutation StudioRenameOption($product: ID!, $option: OptionUpdateInput!) {
  productOptionUpdate(productId: $product, option: $option, variantStrategy: LEAVE_AS_IS) {
    product { id }
    userErrors { code field message }
  }
}
"""

# Few places for many items; items that lie in more places are read again, fewer at a time.
LEVELS = """
query StudioLevels($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id tracked
      inventoryLevels(first: 6, includeInactive: true) {
        nodes { ...StudioLevel }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
fragment StudioLevel on InventoryLevel {
  isActive updatedAt
  location { id }
  quantities(names: ["available"]) { name quantity }
}
"""

WIDE_LEVELS = LEVELS.replace("StudioLevels", "StudioWideLevels").replace("first: 6", "first: 50")

MORE_LEVELS = """
query StudioMoreLevels($id: ID!, $after: String) {
  inventoryItem(id: $id) {
    inventoryLevels(first: 50, after: $after, includeInactive: true) {
      nodes { ...StudioLevel }
      pageInfo { hasNextPage endCursor }
    }
  }
}
fragment StudioLevel on InventoryLevel {
  isActive updatedAt
  location { id }
  quantities(names: ["available"]) { name quantity }
}
"""

SET_QUANTITIES = """
mutation StudioSet($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup {
      id
      changes(quantityNames: ["available"]) { name quantityAfterChange item { id } location { id } }
    }
    userErrors { code field message }
  }
}
"""

ORDERS_SINCE = """
query StudioOrdersSince($after: String, $query: String) {
  orders(first: 100, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id updatedAt }
    pageInfo { hasNextPage endCursor }
  }
}
"""

FULFILLMENT_ORDER_OWNERS = """
query StudioOwners($ids: [ID!]!) {
  nodes(ids: $ids) { ... on FulfillmentOrder { id orderId } }
}
"""

_LINE = """
fragment StudioLine on LineItem {
  id sku title variantTitle quantity currentQuantity unfulfilledQuantity variant { id }
}
"""
_FULFILLMENT_ORDER = """
fragment StudioFulfillmentOrder on FulfillmentOrder {
  id status
  assignedLocation { location { id } }
  lineItems(first: 20) { nodes { remainingQuantity lineItem { id } } pageInfo { hasNextPage endCursor } }
}
"""
_FULFILLMENT = """
fragment StudioFulfillment on Fulfillment {
  id status createdAt
  location { id }
  fulfillmentLineItems(first: 20) { nodes { quantity lineItem { id } } pageInfo { hasNextPage endCursor } }
}
"""
_REFUND = """
fragment StudioRefund on Refund {
  id
  refundLineItems(first: 20) {
    nodes { quantity restockType restocked location { id } lineItem { id } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

LIST_MAX = 3  # fulfillments and refunds are plain lists: a full one is read whole by LISTS

ORDER = (
    """
query StudioOrder($id: ID!) {
  order(id: $id) {
    id name createdAt processedAt updatedAt cancelledAt
    currentTotalPriceSet { shopMoney { amount currencyCode } }
    lineItems(first: 30) { nodes { ...StudioLine } pageInfo { hasNextPage endCursor } }
    fulfillmentOrders(first: 4) { nodes { ...StudioFulfillmentOrder } pageInfo { hasNextPage endCursor } }
    fulfillments(first: 3) { ...StudioFulfillment }
    refunds(first: 3) { ...StudioRefund }
  }
}
"""
    + _LINE
    + _FULFILLMENT_ORDER
    + _FULFILLMENT
    + _REFUND
)

MORE_LINES = (
    """
query StudioMoreLines($id: ID!, $after: String) {
  order(id: $id) { lineItems(first: 100, after: $after) { nodes { ...StudioLine } pageInfo { hasNextPage endCursor } } }
}
"""
    + _LINE
)

MORE_FULFILLMENT_ORDERS = (
    """
query StudioMoreFulfillmentOrders($id: ID!, $after: String) {
  order(id: $id) {
    fulfillmentOrders(first: 10, after: $after) {
      nodes { ...StudioFulfillmentOrder }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
    + _FULFILLMENT_ORDER
)

LISTS = """
query StudioLists($id: ID!) {
  order(id: $id) { fulfillments(first: 250) { id } refunds(first: 250) { id } }
}
"""

LIST_NODES = (
    """
query StudioListNodes($ids: [ID!]!) {
  nodes(ids: $ids) { __typename ...StudioFulfillment ...StudioRefund }
}
"""
    + _FULFILLMENT
    + _REFUND
)

MORE_OF_NODE = """
query StudioMoreOfNode($id: ID!, $after: String) {
  node(id: $id) {
    ... on FulfillmentOrder {
      lineItems(first: 100, after: $after) {
        nodes { remainingQuantity lineItem { id } }
        pageInfo { hasNextPage endCursor }
      }
    }
    ... on Fulfillment {
      fulfillmentLineItems(first: 100, after: $after) {
        nodes { quantity lineItem { id } }
        pageInfo { hasNextPage endCursor }
      }
    }
    ... on Refund {
      refundLineItems(first: 100, after: $after) {
        nodes { quantity restockType restocked location { id } lineItem { id } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""

SUBSCRIPTIONS = """
query StudioSubscriptions($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    nodes { id topic uri }
    pageInfo { hasNextPage endCursor }
  }
}
"""

SUBSCRIBE = """
mutation StudioSubscribe($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) {
    webhookSubscription { id topic uri }
    userErrors { field message }
  }
}
"""

UNSUBSCRIBE = """
mutation StudioUnsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}
"""

# What an action on an order looks at first, and does. https://shopify.dev/docs/api/admin-graphql/2026-10/objects/Order
ORDER_CANCELLED = """
query StudioOrderCancelled($id: ID!) { order(id: $id) { id cancelledAt } }
"""

LINES_NOW = """
query StudioLinesNow($ids: [ID!]!) {
  nodes(ids: $ids) { ... on LineItem { id currentQuantity } }
}
"""

GOODS_NOW = """
query StudioGoodsNow($id: ID!, $after: String) {
  order(id: $id) {
    lineItems(first: 100, after: $after) {
      nodes { currentQuantity variant { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

WAITING = """
query StudioWaiting($id: ID!, $after: String) {
  order(id: $id) {
    fulfillmentOrders(first: 5, after: $after) {
      nodes {
        id status
        assignedLocation { location { id } }
        lineItems(first: 80) { nodes { id remainingQuantity lineItem { id } } pageInfo { hasNextPage } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

# https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/fulfillmentOrderMove (takes no idempotency key)
MOVE = """
mutation StudioMove($id: ID!, $place: ID!, $lines: [FulfillmentOrderLineItemInput!]) {
  fulfillmentOrderMove(id: $id, newLocationId: $place, fulfillmentOrderLineItems: $lines) {
    movedFulfillmentOrder { id }
    userErrors { code field message }
  }
}
"""

# https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/orderCancel (a job; takes no idempotency key)
CANCEL = """
mutation StudioCancel($id: ID!, $restock: Boolean!, $refund: OrderCancelRefundMethodInput, $note: String) {
  orderCancel(
    orderId: $id, reason: INVENTORY, restock: $restock, refundMethod: $refund, notifyCustomer: true, staffNote: $note
  ) {
    job { id done }
    orderCancelUserErrors { code field message }
  }
}
"""

# https://shopify.dev/docs/api/admin-graphql/2026-10/objects/Order#field-suggestedRefund
SUGGESTED_REFUND = """
query StudioSuggestedRefund($id: ID!, $lines: [RefundLineItemInput!]) {
  order(id: $id) {
    suggestedRefund(refundLineItems: $lines) {
      amountSet { presentmentMoney { amount currencyCode } }
      maximumRefundableSet { presentmentMoney { amount } }
      suggestedTransactions {
        gateway
        parentTransaction { id }
        maximumRefundableSet { presentmentMoney { amount } }
      }
    }
  }
}
"""

# https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/refundCreate (the key is required since 2026-04)
REFUND = """
mutation StudioRefundCreate($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { field message } }
}
"""

# https://shopify.dev/docs/apps/build/orders-fulfillment/order-management-apps/edit-orders: nothing takes effect before
# the commit.
EDIT_BEGIN = """
mutation StudioEditBegin($id: ID!) {
  orderEditBegin(id: $id) { calculatedOrder { id } userErrors { field message } }
}
"""

EDIT_SET = """
mutation StudioEditSet($edit: ID!, $line: ID!, $quantity: Int!, $restock: Boolean!) {
  orderEditSetQuantity(id: $edit, lineItemId: $line, quantity: $quantity, restock: $restock) {
    calculatedLineItem { id quantity }
    userErrors { field message }
  }
}
"""

EDIT_ADD = """
mutation StudioEditAdd($edit: ID!, $variant: ID!, $quantity: Int!, $place: ID) {
  orderEditAddVariant(id: $edit, variantId: $variant, quantity: $quantity, locationId: $place, allowDuplicates: true) {
    calculatedLineItem { id quantity }
    userErrors { field message }
  }
}
"""

EDIT_COMMIT = """
mutation StudioEditCommit($edit: ID!, $note: String) {
  orderEditCommit(id: $edit, notifyCustomer: true, staffNote: $note) { order { id } userErrors { field message } }
}
"""

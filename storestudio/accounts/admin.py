"""Admin: people, shops, who may what, and the audit trail."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from storestudio.accounts.backoffice import BigRows, ReadOnlyRows, Rows, linked, rows_of
from storestudio.accounts.models import AuditEntry, Heartbeat, Membership, Merchant, User


class NewUserForm(UserCreationForm):  # type: ignore[misc]
    """A new user has an address; there are no user names."""

    class Meta:
        model = User
        fields = ["email"]


class ChangedUserForm(UserChangeForm):  # type: ignore[misc]
    """All of a user but the password, which has a page of its own."""

    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Rows):  # type: ignore[type-arg]
    """People. A superuser is an admin; staff without it sees what its groups allow."""

    form = ChangedUserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "is_superuser", "last_login", "shops"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    filter_horizontal = ["groups", "user_permissions"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("May", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("When", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["email", "usable_password", "password1", "password2"]})]

    @admin.display(description="shops")
    def shops(self, user: User) -> SafeString:
        """The list of this person's memberships."""
        return rows_of("accounts.membership", f"user__id__exact={user.pk}", "shops")


class MembershipLines(admin.TabularInline):  # type: ignore[type-arg]
    """Who may do what in a shop."""

    model = Membership
    extra = 0
    autocomplete_fields = ["user"]
    readonly_fields = ["created_at"]


@admin.register(Merchant)
class MerchantAdmin(Rows):
    """Shops, with ways into everything that hangs on one. A shop is never deleted: its ledger hangs on it."""

    list_display = ["name", "slug", "currency", "timezone", "created_at", "connections", "stock", "events"]
    search_fields = ["name", "slug"]
    readonly_fields = ["created_at"]
    inlines = [MembershipLines]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    @admin.display(description="")
    def connections(self, merchant: Merchant) -> SafeString:
        """Its channels."""
        return rows_of("channels.connection", f"merchant__id__exact={merchant.pk}", "channels")

    @admin.display(description="")
    def stock(self, merchant: Merchant) -> SafeString:
        """Its stock levels."""
        return rows_of("inventory.stocklevel", f"merchant__id__exact={merchant.pk}", "stock")

    @admin.display(description="")
    def events(self, merchant: Merchant) -> SafeString:
        """What came in for it."""
        return rows_of("channels.inboundevent", f"merchant__id__exact={merchant.pk}", "messages")


@admin.register(Membership)
class MembershipAdmin(Rows):
    """Who may do what in which shop."""

    list_display = ["__str__", linked("user"), linked("merchant"), "role", "created_at"]
    list_filter = ["role", "merchant"]
    list_select_related = ["user", "merchant"]
    search_fields = ["user__email", "user__name", "merchant__name", "merchant__slug"]
    autocomplete_fields = ["user", "merchant"]
    readonly_fields = ["created_at"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """With both ends, for the row's own name."""
        return super().get_queryset(request).select_related("user", "merchant")


@admin.register(AuditEntry)
class AuditEntryAdmin(BigRows):
    """Who changed what; the database refuses changes of it too."""

    list_display = ["at", "action", "summary", linked("merchant"), linked("actor", "who"), "object_type", "object_id"]
    list_filter = ["merchant", "object_type"]
    list_select_related = ["merchant", "actor"]
    search_fields = ["=object_id", "action", "summary"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyRows):
    """When background processes last said that they live."""

    list_display = ["name", "beat_at"]


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Rows):
    """Sets of permissions for staff that is no admin."""


# The sandbox process runs without accounts of its own.
if apps.is_installed("allauth.account"):
    from allauth.account.decorators import secure_admin_login

    # One door: the product's own sign-in, with its rate limits and second factor.
    admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

if apps.is_installed("allauth.mfa"):
    from allauth.mfa.models import Authenticator

    admin.site.unregister(Authenticator)

    @admin.register(Authenticator)
    class AuthenticatorAdmin(ReadOnlyRows):
        """Who has a second factor; what it is made of is a secret. Deleting one lets its owner set up another."""

        list_display = ["__str__", linked("user"), "type", "created_at", "last_used_at"]
        list_select_related = ["user"]
        search_fields = ["user__email"]
        fields = ["user", "type", "created_at", "last_used_at"]

        def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
            """An admin, for somebody who lost their device."""
            return bool(request.user.is_superuser)

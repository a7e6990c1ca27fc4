import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import channels.models


class Migration(migrations.Migration):
    """When the webhooks of a connection were last looked at, and what was missing."""

    dependencies = [
        ("accounts", "0002_user_words"),
        ("channels", "0010_gone_units"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="api_version",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="As the channel reported it last, if it does.",
                max_length=30,
            ),
        ),
        migrations.AddField(
            model_name="connection",
            name="subscriptions_checked_at",
            field=models.DateTimeField(help_text="When they were last seen as they should be.", null=True),
        ),
        migrations.AddField(
            model_name="connection",
            name="subscriptions_due_at",
            field=models.DateTimeField(
                default=channels.models.in_an_hour,
                help_text="When its webhook subscriptions are looked at next; empty: now.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="connectionwork",
            name="kind",
            field=models.CharField(
                choices=[
                    ("inbox", "Apply what came in"),
                    ("publish", "Send what is due"),
                    ("poll", "Read what webhooks may have missed"),
                    ("webhooks", "See that its webhooks still come"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="kind",
            field=models.CharField(
                choices=[
                    ("oversold", "More promised than there is"),
                    ("drift", "A channel shows another number"),
                    ("quarantine", "A message could not be applied"),
                    ("reconnect", "Contact lost"),
                    ("refused", "A channel refused a number"),
                    ("unlinked_sale", "Something unlinked was sold"),
                    ("guard", "So much would go that we stopped"),
                    ("webhooks", "A channel stopped telling us"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="SubscriptionRepair",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("found_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("topics", models.JSONField(help_text="What was missing, in the vendor's words.")),
                ("repaired_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, max_length=500)),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="subscription_repairs",
                        to="channels.connection",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["connection", "-found_at"], name="repair_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("repaired_at", None)),
                        fields=("connection",),
                        name="repair_one_open_per_connection",
                    )
                ],
            },
        ),
    ]

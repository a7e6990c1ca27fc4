import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_user_words"),
        ("inventory", "0011_bundles"),
    ]

    operations = [
        migrations.CreateModel(
            name="RoutingDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "reference",
                    models.CharField(help_text="“order:…” or “hold:…”, in the words of who asked.", max_length=120),
                ),
                ("decided_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "question",
                    models.JSONField(
                        help_text="What was wanted, what each place had, where to: enough to decide again."
                    ),
                ),
                ("rules", models.JSONField(default=list)),
                ("places_max", models.PositiveSmallIntegerField(default=1)),
                (
                    "takes",
                    models.JSONField(default=list, help_text="What leaves from where; empty where nothing covered it."),
                ),
                ("steps", models.JSONField(default=list, help_text="What each rule said.")),
            ],
        ),
        migrations.CreateModel(
            name="RoutingPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "rules",
                    models.JSONField(
                        default=list, help_text="Names of rules (inventory.routing.engine.Rule), in order."
                    ),
                ),
                (
                    "places_max",
                    models.PositiveSmallIntegerField(
                        default=1, help_text="Places that may share an order; 1: no splits."
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.AddField(
            model_name="location",
            name="is_warehouse",
            field=models.BooleanField(default=False, help_text="No customers walk in here."),
        ),
        migrations.AddField(
            model_name="location",
            name="latitude",
            field=models.DecimalField(
                blank=True, decimal_places=5, help_text="Degrees north.", max_digits=8, null=True
            ),
        ),
        migrations.AddField(
            model_name="location",
            name="longitude",
            field=models.DecimalField(blank=True, decimal_places=5, help_text="Degrees east.", max_digits=8, null=True),
        ),
        migrations.AddField(
            model_name="location",
            name="orders_a_day_max",
            field=models.PositiveIntegerField(
                blank=True, help_text="How many orders it can send a day; empty without a limit.", null=True
            ),
        ),
        migrations.AddField(
            model_name="location",
            name="rank",
            field=models.PositiveSmallIntegerField(default=100, help_text="Which place ships rather: 1 comes first."),
        ),
        migrations.AddField(
            model_name="location",
            name="ships_until",
            field=models.TimeField(blank=True, help_text="The day's last parcel, local time.", null=True),
        ),
        migrations.AddConstraint(
            model_name="location",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("latitude", None), ("longitude", None)),
                    models.Q(("latitude__range", (-90, 90)), ("longitude__range", (-180, 180))),
                    _connector="OR",
                ),
                name="location_point_whole_and_on_earth",
            ),
        ),
        migrations.AddField(
            model_name="routingdecision",
            name="merchant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
            ),
        ),
        migrations.AddField(
            model_name="routingdecision",
            name="order",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="routing",
                to="inventory.order",
            ),
        ),
        migrations.AddField(
            model_name="routingpolicy",
            name="merchant",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.merchant"
            ),
        ),
        migrations.AddIndex(
            model_name="routingdecision",
            index=models.Index(fields=["merchant", "-decided_at", "-id"], name="routingdecision_by_time"),
        ),
        migrations.AddConstraint(
            model_name="routingdecision",
            constraint=models.UniqueConstraint(
                fields=("merchant", "reference"), name="routingdecision_once_per_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="routingpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("places_max__range", (1, 3))), name="routingpolicy_one_to_three_places"
            ),
        ),
    ]

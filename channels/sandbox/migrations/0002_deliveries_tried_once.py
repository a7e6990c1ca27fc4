from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandbox", "0001_sandbox")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="attempts_max",
            field=models.PositiveSmallIntegerField(default=9, help_text="1: this vendor never repeats a delivery."),
        ),
    ]
